"""Where a history lies: on topics of Kafka, on a blackboard, or in an exported file."""

from .stored import schemas


def opened(place, prefix=None):
    """The topics of a prefix at a broker; a file where the place is an option and the file."""
    if place == "--export":
        from .file import File

        return File(prefix)
    if place == "--blackboard":
        from .blackboard import Board

        return Board(prefix, schemas())
    # Nobody needs a client of Kafka's to read a file.
    from .topics import Topics

    topics = Topics(place, prefix, schemas())
    topics.learn()
    return topics
