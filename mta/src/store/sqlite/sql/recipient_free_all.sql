UPDATE recipient SET holder = NULL WHERE holder IS NOT NULL
