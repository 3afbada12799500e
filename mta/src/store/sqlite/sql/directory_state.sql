SELECT epoch, revision FROM directory_state
