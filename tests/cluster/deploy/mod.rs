//! deploy/ on the real API server: accepted as it is, and enough. rollcall runs under the account that it
//! makes and no other, also where a permission was taken away, and as a pod would, with a token that changes.

mod account;
mod installed;
mod rotation;

use std::time::Duration;

/// How long the control plane, or rollcall, may take for one step.
const STEP: Duration = Duration::from_secs(60);
