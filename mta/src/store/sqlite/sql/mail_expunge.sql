UPDATE mail SET expunged_us = ?3, modseq = ?4 WHERE mailbox = ?1 AND uid = ?2
