"""The one exception that reaches a user as a single readable line."""


class UserError(Exception):
    """A mistake that the user can mend: says what is wrong, where, and what to do.

    The command line prints its message on one line and exits with status 2.
    """
