package exactjson

// CheckedMembers is checkedMembers.
var CheckedMembers = checkedMembers
