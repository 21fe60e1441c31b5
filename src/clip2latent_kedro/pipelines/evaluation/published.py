"""What the paper itself reports, for who wants to set it beside these figures.

Its models, data, prompts and machine are others: none of these numbers compares with
ours.
"""

from clip2latent_kedro.pipelines.evaluation.tables import Cells

SOURCE = (
    "Pinkney and Li 2022 (arXiv 2210.02347): CLIP score of the best of 16 images, mean "
    "of 64 prompts, StyleGAN2 FFHQ at 1024 px and CLIP ViT-B/32; seconds for 16 "
    "images. DALLE-2 is scored with another preprocessing, and so by a metric of its "
    "own. These are the authors' models, prompts and machine, not this project's: they "
    "do not compare with the figures above."
)
TABLE: Cells = [
    ["method", "CLIP score, best of 16", "seconds"],
    ["clip2latent", "0.316", "11.760"],
    ["clip2latent, respaced", "0.315", "0.244"],
    ["direct optimisation", "0.321", "19.191"],
    ["LAFITE", "0.278", "0.045"],
    ["DALLE-2", "0.291 (its own metric)", ""],
]
