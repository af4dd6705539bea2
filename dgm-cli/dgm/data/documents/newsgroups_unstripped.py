"""20 Newsgroups with headers, quotes and signatures, to show how much these give away."""

from dgm.data.bags import Documents
from dgm.data.documents import newsgroups

TITLE = "20 Newsgroups, nothing stripped"
REVISION = 1
FILES, MIRRORS = newsgroups.FILES, newsgroups.MIRRORS


def load() -> Documents:
    return newsgroups.load(strip=False)
