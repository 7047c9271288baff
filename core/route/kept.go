package route

import "chancery/store"

// Kept is what was added to the commit so far, so that a stage can complete a
// row of its own that an earlier half of the way has begun.
func (t *Transit) Kept() []store.Row { return t.rows }
