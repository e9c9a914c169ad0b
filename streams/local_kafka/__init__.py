"""A real Apache Kafka on the user's own machine."""
