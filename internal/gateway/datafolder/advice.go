package datafolder

import (
	"errors"
	"io/fs"
	"syscall"
)

// advice returns what an operator does about an error of the folder, to put behind it.
func advice(err error) string {
	switch {
	case errors.Is(err, syscall.EROFS):
		return ": the file system is read-only: mount it for writing, or choose another folder by data (TUNNELGATEWAY_DATA)"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return ": make room on the file system, or choose another folder by data (TUNNELGATEWAY_DATA)"
	case errors.Is(err, fs.ErrPermission):
		return ": let this user write to it, or choose another folder by data (TUNNELGATEWAY_DATA)"
	}
	return ""
}
