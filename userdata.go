package handover

import (
	"fmt"

	"github.com/crisphandover/handover/internal/persondata"
)

// UserData is what the host knows of the user and shows to the agents in Crisp. In JSON it is the
// connector's flat user_data object: first_name, last_name, nickname (or name), email,
// phone_number (or phone) and avatar have fields here, every other member is in Data.
//
// Data holds strings, booleans and float64. Any other value becomes JSON text when it is used, null
// and nested values among them, and a number stays as it is spelled if float64 cannot hold it.
//
// Start takes at most 1,000 members, 256 KiB of names and values in all, and values nested 20 deep.
// A name that begins with "handover_" is the library's: it gets "user_" before it in Crisp.
type UserData struct {
	FirstName string
	LastName  string
	Nickname  string // shown when there is neither first nor last name
	Email     string
	Phone     string
	Avatar    string // an http or https URL
	Data      map[string]any
}

// NewUserData reads user data from a map such as a decoded user_data object. The map is not kept.
func NewUserData(data map[string]any) UserData {
	return UserData(persondata.Person{Data: data}.Normal())
}

// UnmarshalJSON reads the connector's user_data object. A field of another type than string is
// taken as its text. The error for anything but an object, or for a name that comes twice, quotes
// nothing.
func (u *UserData) UnmarshalJSON(data []byte) error {
	p, err := persondata.Read(data)
	if err != nil {
		return fmt.Errorf("handover: %w", err)
	}
	*u = UserData(p)
	return nil
}

// MarshalJSON writes the object that UnmarshalJSON reads.
func (u UserData) MarshalJSON() ([]byte, error) { return persondata.Person(u).JSON() }

// reservedKey begins the keys of data that the library writes, such as Policy.NoteFallback's. What
// users wrote must not look like those.
const reservedKey = "handover_"

// metas is user data as Crisp's conversation metas take it.
func (u UserData) metas() persondata.Metas { return persondata.Person(u).Metas(reservedKey) }
