"""Studies: what a variant scores, and how sure that is.

Evaluation, sweep, ablation and validation ask how well something does. The first three
are one engine with different variants:

    written     `Variant`: a label, a method and what it changes of the parameters.
                Rows of `params:evaluation`, points of the grids of `params:sweep`,
                lines and axes of `params:ablation` (config, sweep, ablation/config).
    planned     `PlannedVariant`: all settings, everything that the result depends on
                (settings, digests of models, prompts, seed, code: `depends_on`), and
                what computes it (evaluation, sweep, ablation/plan).
    due         `find_pending`: what is stored and depends on the same is kept.
    run         `run_study`: arrays and a record of each variant, stored as they come;
                a variant that fails by its settings, numbers or memory is a record
                with its problem.
    sampled     `sample_images`: method.sample -> images -> embeddings, judge.
    scored      `score_prompts`: one number for each score and prompt.
    compared    comparison: bootstrap over prompts, Student's t over prompts or seeds,
                widened for the number of comparisons (Bonferroni); selection.

The evaluation stores the samples themselves, and scores them when it reads them; sweep
and ablation store scores, [num_seeds, num_prompts], and a few pictures. An ablation
trains priors for some of its variants first. Validation looks at a prior during its
training, by a few images and one score for each guidance, which nothing stores.
"""
