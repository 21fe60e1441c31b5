"""A page of HTML that kedro viz shows."""

from kedro_datasets._typing import HTMLPreview

from clip2latent_kedro.datasets.file import FileDataset


class HTMLReportDataset(FileDataset[str]):
    """HTML text in UTF-8, previewed as a page."""

    def _to_bytes(self, data: str) -> bytes:
        return data.encode()

    def _from_bytes(self, content: bytes) -> str:
        return content.decode()

    def preview(self) -> HTMLPreview:
        """Return the page."""
        return HTMLPreview(self.load())
