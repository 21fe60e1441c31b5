"""The demo page: a service that draws, and a page of Gradio that shows it.

What computes knows nothing of the page: `service` is plain Python. Only `page` imports
Gradio, which the extra `demo` brings.
"""
