print("Hello from your workspace!")
