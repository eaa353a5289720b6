"""Crash tests: real server processes, real kills.

Everything here is black box: a server as a child process, HTTP from outside, `kill -9` from the system. A
ledger (`writers`) remembers what each submission was answered; readers (`readers`) judge every page that they
get while processes die; an audit compares what is there afterwards with what was promised.

The moments of the kills are random: the seed is printed at the end of the run, and LBACTORS_CRASH_SEED sets
it. LBACTORS_CRASH_KILLS makes `test_random_kills` longer, LBACTORS_CRASH_OUTAGE_SECONDS the outage of Redis.
"""
