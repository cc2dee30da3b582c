// The process's memory as the operating system sees it.
#pragma once

namespace melisma {

// Gives memory that was freed, but that the allocator keeps for later, back to the system: after a stage whose large
// temporaries are over, so that the next one's come instead of them and not on top. Takes milliseconds.
void release_free_memory();

}  // namespace melisma
