"""Trying a service under load: how many claims and questions a second, and how long each took.

For `stemedb bench`, on a scratch folder, and for `stemedb acceptance`, against a real host. Claims of a trial
say what they are (`trial://`), and every run makes new keys, so that none of them is anybody's word.
"""
