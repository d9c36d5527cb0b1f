"""What can be written as one HTML file, and shown in a notebook."""

import os

from fastbackprop._model.beside import write_beside

__all__ = ["HtmlPage"]


class HtmlPage:
    """Base of all that has a page; who inherits from it says what is on the page."""

    def _page(self) -> str:
        raise NotImplementedError

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the page: one file, which needs nothing else.

        Parameters
        ----------
        path : str or path-like
            Path of the file, which is replaced if it is there.

        Raises
        ------
        OSError
            If it can't be written; a file that was there is as it was.
        ValueError
            If the page has no place for a layer of the model.
        """
        write_beside(path, self._page().encode())
