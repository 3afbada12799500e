SELECT reverse_path, size_bytes, domain FROM message WHERE id = ?1
