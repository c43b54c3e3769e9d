"""The custom resources of argoproj.io/v1alpha1 as Tidegate serves them: models, checks and CRDs."""
