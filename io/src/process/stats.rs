use super::id::NodeId;

/// A look at a node, for people and for tests.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeStats {
    /// Which node.
    pub node: NodeId,
    /// Processes that live, reserved ones included.
    pub processes: usize,
    /// Local names.
    pub names: usize,
    /// Links and monitors that its processes have set up.
    pub watches: usize,
    /// Nodes that it dials or has dialled.
    pub links_outbound: usize,
    /// Nodes that have dialled it.
    pub links_inbound: usize,
    /// Bytes that wait for other nodes.
    pub bytes_waiting: usize,
}
