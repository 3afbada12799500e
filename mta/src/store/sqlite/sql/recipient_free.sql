UPDATE recipient SET holder = NULL WHERE holder = ?1
