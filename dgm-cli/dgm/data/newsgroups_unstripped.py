"""20 Newsgroups with headers, quotes and signatures, to show what they give away."""

from dgm.data import newsgroups
from dgm.data.documents import Documents

FILES, MIRRORS = newsgroups.FILES, newsgroups.MIRRORS


def load() -> Documents:
    return newsgroups.load(strip=False)
