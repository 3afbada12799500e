SELECT epoch, revision, complete FROM directory_state
