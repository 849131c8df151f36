//! The acceptance scenarios, played with kubectl: what is applied, what happens, what must be answered.
//!
//! One file a scenario, numbered as in the product's own list.

mod s1_redis;
pub(crate) mod s2_volumes;
mod s3_busybox;
mod s4_cluster_ip;
mod s5_kubia;
mod s6_peers;
pub(crate) mod s7_lost_node;
mod s8_mysql;
