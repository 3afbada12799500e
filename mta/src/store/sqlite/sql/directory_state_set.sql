UPDATE directory_state SET epoch = ?1, revision = ?2, complete = ?3
