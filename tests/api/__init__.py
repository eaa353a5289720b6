"""Black-box tests of the native HTTP API.

They are written from the API description alone and talk to one real server process over HTTP; nothing here
imports the server's code. `client.py` judges every answer, `boards.py` speaks for one leaderboard, `model.py`
is the naive oracle of rankings.
"""
