package pgserver

import "os"

func lockDir(string) (*os.File, error) { return nil, nil }

func sweep(string) {}
