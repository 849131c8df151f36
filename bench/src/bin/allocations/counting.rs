//! The system's allocator, counting: what this thread asked it for, and what all the others did.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static ALL: AtomicU64 = AtomicU64::new(0);

thread_local! {
    // Constant and without a destructor: to reach it allocates nothing, at any time of a thread's life.
    static OWN: Cell<u64> = const { Cell::new(0) };
}

/// Allocations of this thread so far, those that move or grow included.
pub(crate) fn own() -> u64 {
    OWN.get()
}

/// Allocations of all other threads so far.
pub(crate) fn others() -> u64 {
    ALL.load(Ordering::SeqCst) - OWN.get()
}

fn count() {
    ALL.fetch_add(1, Ordering::SeqCst);
    OWN.set(OWN.get() + 1);
}

// SAFETY: every call is the system allocator's own, with the arguments as they came; counting allocates nothing
// and cannot unwind.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}
