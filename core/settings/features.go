package settings

// Blocking bounds block lists (XEP-0191).
type Blocking struct {
	// Addresses on one block list. Beyond it the block command gets policy-violation.
	Contacts int `name:"contacts" default:"2000" min:"1" max:"100000"`
}

// PrivateXML bounds what clients store for themselves (XEP-0049).
type PrivateXML struct {
	// Bytes that one account may store in all its elements together.
	Bytes int `name:"bytes" default:"1MiB" unit:"bytes" min:"4KiB" max:"1GiB"`

	// Elements that one account may store.
	Elements int `name:"elements" default:"200" min:"1" max:"100000"`
}

// VCard bounds vCards (XEP-0054).
type VCard struct {
	// Bytes of one vCard with its picture. What is more than other servers take as one stanza cannot be read from there.
	Bytes int `name:"bytes" default:"128KiB" unit:"bytes" min:"4KiB" max:"16MiB"`
}
