"""Predict, run, compare: the learner commits to a guess before an experiment is run.

    wqlib.predict("06-a", "What will the survivor do?", ["Wait", "Take over", "Stop"])
    …                                                  # the experiment
    wqlib.compare("06-a", f"{done} done, {lost} lost")
    wqlib.quiz(1)                                      # at the end of a half

Questions and options are in the notebooks. What is right, and what a wrong guess is likely to come
from, is in `NN.toml` here; the quizzes are `quiz_1.toml` and `quiz_2.toml`.
"""
