-- Waits for every transaction that writes to them, and lets nobody begin another; reading goes on.
lock table {{tables}} in share row exclusive mode;
