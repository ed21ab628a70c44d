"""The oracle: a whole history recomputed from the topics, and held against what was put out.

Read are the inputs, the tables, what whoever opened a round had read (its pins and the time of
its responses), the closing offsets of early closes, and the order of `acp.trust-updates`. Nothing
else that a processor wrote bears on what is expected of it.
"""
