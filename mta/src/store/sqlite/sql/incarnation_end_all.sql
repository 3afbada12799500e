UPDATE incarnation SET ended = 1
