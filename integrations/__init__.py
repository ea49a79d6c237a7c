"""Systems, transaction types and read tools: pure Python that knows neither Django nor the console."""
