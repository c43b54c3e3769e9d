"""What people and pipelines are shown of a Rollout: pictures made of raw objects, for the command line and pages.

Nothing here reads the models of `tidegate.api`, which take longer to load than a command line may take to answer.
"""
