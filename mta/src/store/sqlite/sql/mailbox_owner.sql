SELECT modseq FROM mailbox WHERE id = ?1 AND account = ?2
