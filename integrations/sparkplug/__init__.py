"""Sparkplug B over MQTT: job states from births, data and deaths of edge nodes. It subscribes and never publishes."""
