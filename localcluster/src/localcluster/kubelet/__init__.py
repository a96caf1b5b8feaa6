"""The kubelet: runs the pods of the node as processes, and streams to and from them."""
