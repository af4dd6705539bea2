"""What most objects of a loop save: the attributes that they name."""

from typing import Any, ClassVar

from torch import Tensor


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
