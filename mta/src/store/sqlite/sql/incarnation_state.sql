SELECT ended, expires_us FROM incarnation WHERE id = ?1
