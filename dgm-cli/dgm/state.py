"""What most objects of a loop save: the attributes that they name."""

from typing import Any, ClassVar

from torch import Tensor

from dgm.text import number

SHOWN = 5  # metrics of a model


class State:
    """Saves the attributes in `saved`, and restores them.

    Nets and optimisers save and restore themselves; tensors are restored in place, the rest by
    assignment. A class that saves its tensors under other names overrides `state_dict` alone.
    """

    saved: ClassVar[tuple[str, ...]] = ()

    def state_dict(self) -> dict[str, Any]:
        parts = {name: getattr(self, name) for name in self.saved}
        return {k: v.state_dict() if hasattr(v, "state_dict") else v for k, v in parts.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        own = self.state_dict()
        if own.keys() != state.keys():
            raise ValueError(f"{type(self).__name__} saves {[*own]}, not {[*state]}")
        for name, value in own.items():
            part = getattr(self, name) if name in self.saved else value
            if hasattr(part, "load_state_dict"):
                part.load_state_dict(state[name])
            elif isinstance(value, Tensor):
                value.copy_(state[name])
            else:
                setattr(self, name, state[name])

    def __repr__(self) -> str:
        """Of a model its class and its constructor's arguments; once it is loaded also what it was
        trained on or which trial it is of, and that trial's first metrics."""
        if not hasattr(self, "config"):
            return super().__repr__()
        config = ", ".join(f"{name}={value!r}" for name, value in self.config.items())
        lines = [f"{type(self).__name__}({config})"]
        about = getattr(self, "about", {})
        if about:
            lines.append(f"trained on {about['data']} with seed {about['seed']}")
        if "recipe" in about:
            lines.append(f"recipe {about['recipe']}: {about['label']}")
        metrics = [*about.get("metrics", {}).items()]
        lines += [f"{name} = {number(value)}" for name, value in metrics[:SHOWN]]
        if len(metrics) > SHOWN:
            lines.append(f"about['metrics'] has {len(metrics) - SHOWN} more")
        return "\n  ".join(lines)
