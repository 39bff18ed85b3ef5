"""What Ray Serve costs and keeps: on this machine, with made-up devices where replicas are to add up."""
