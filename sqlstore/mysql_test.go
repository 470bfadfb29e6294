package sqlstore

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// What the drivers write: github.com/go-sql-driver/mysql, github.com/go-mysql-org/go-mysql, github.com/ziutek/mymysql.
func TestMySQLNumber(t *testing.T) {
	for text, want := range map[string]int{
		"Error 1213 (40001): Deadlock found when trying to get lock; try restarting transaction": 1213,
		"Error 1205: Lock wait timeout exceeded; try restarting transaction":                     1205,
		"ERROR 1062 (23000): Duplicate entry 'Error 1213' for key 'PRIMARY'":                     1062,
		"Received #1146 error from MySQL server: \"Table 'test.x' doesn't exist\"":               1146,
		"span 1205: Error 1020 (HY000): Record has changed since last read in table 'x'":         1020,
		"invalid connection": 0,
		"dial tcp 127.0.0.1:1213: connect: connection refused":  0,
		"Error 12130: no such number":                           0,
		"commands out of sync. Did you run multiple statements": 0,
	} {
		require.Equal(t, want, mysqlNumber(errors.New(text)), text)
	}
}
