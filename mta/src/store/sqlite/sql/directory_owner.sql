SELECT owner FROM directory_entry WHERE key = ?1
