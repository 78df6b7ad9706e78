"""Tracking: every search as MLflow runs, behind one seam.

A search tells a `Tracker` what happened; `MlflowTracker` writes it as it happens, `BulkTracker`
when the search is over, in fewer requests, and `NullTracker` nothing:

    tracker.start(SearchInfo(...))          before the first trial; raises TrackingError
    tracker.trial(TrialRecord(...))         after every decided trial, at every level
    tracker.mechanisms([MechanismRecord])   whenever their state changed, and before the end
    tracker.end("done", {...})              done, failed or exhausted; `summary` are final metrics
    tracker.leave_running()                 instead of the end: cut off, the run stays RUNNING
    tracker.supersede(study, arm, seed)     when the user starts a search over

What is written, for scripts that read it:

    experiment     the study
    parent run     a search: tags kind=search, study, arm, seed, llm, task, search_id, fingerprint,
                   superseded, metric, direction, ended, and stand_in=true for the scripted model;
                   model (and its temperature), task_settings (JSON), dependent_seeds (the setting),
                   prompts and stand_in_version (digests), noise_told (by the prompts),
                   role (JSON, from the arm's file: control, place, checked_against, edits_texts);
                   by step = trial number: value (the trial's), best_value, delta (best -
                   baseline), trial, and the totals given (tokens, llm_calls, usd, modelled_s,
                   wall_s); in the end confirmed_delta, confirmed_sd, confirmed_n, confirmed/*, and
                   seed_reaches: 0 where equal values on every seed confirm nothing, else 1;
                   the journal, config.yaml, environment.json and mechanisms.json
    child runs     kind=trial and kind=outer (a loop above): study, arm, seed, llm, task, level,
                   trial, decision, moves, failure, parent_trial, duplicate_of, retest_of, origin,
                   hypothesis, acted (the hook calls that changed it);
                   the configuration as params; value, delta (value - baseline), cost/*, clock/*;
                   trial.json, calls/*.md, the diff; every model call as a trace of the run
                   a level-2 session also: mechanism, domain, domain_in_prompt, admitted, attempts,
                   problem; research.json, attempts/*.py with every gate's verdict, judgement.txt;
                   of several candidates: candidates, candidates_scored, screening/2_NAME/gain,
                   gain_se, taken and so on; candidates/2_NAME/ with its texts and score.json
                   kind=mechanism: mechanism, carrier, state, its source and its ledger; a dead one
                   has the status FAILED, which MLflow paints red
    study run      kind=study: the last report of the study; confirmed_delta/ARM and delta/ARM, its
                   page, figures and CSV files

`value` and `best_value` are logged under the task's own name for its metric too: val_bpb for GPTs,
accuracy for the digits, gain above level 1. (Earlier versions had val_bpb where value is now;
reports read both.)
A name that MLflow refuses is logged as the nearest one that it takes; the tag names (JSON, name
there -> name) tells what it was.
A search that is executed again tells everything again: what is complete is left alone, a child
that was cut off is written anew, and no metric is logged twice at a step.

Importing this package does not import mlflow; opening a store does.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
