SELECT digest FROM directory_entry WHERE key = ?1
