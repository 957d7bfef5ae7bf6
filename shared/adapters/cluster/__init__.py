"""The cluster profile: the log on Apache Kafka, the store on MongoDB."""
