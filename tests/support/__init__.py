"""What the tests share: a kernel process, a front end that records everything, and views on both."""
