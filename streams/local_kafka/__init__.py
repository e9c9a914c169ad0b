"""A real Apache Kafka on the user's own machine, for the demo, the tests and laptops."""
